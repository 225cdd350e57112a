#!/bin/sh
# Builds the applications of examples/: into .examples, .venv and examples/ioredis/node_modules.
# Packages come by name from PyPI, npm, the Go module proxy and Maven Central, and are held to the digests that stand in
# requirements.txt, package-lock.json, go.sum and jars.sha256.
set -eu
cd "$(dirname "$0")/../.."
built=$PWD/.examples

say() { printf '  %s\n' "$*" >&2; }

say 'building the examples in Go, Java and JavaScript (about a minute the first time)'
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/clients/requirements.txt
PATH=$PWD/.venv/bin:$PATH # its Go and Node.js
mkdir -p "$built/go" "$built/java"
# PyPI's Node.js knows its own authorities alone, a company's are in the system's store.
(cd examples/ioredis && NODE_OPTIONS=--use-system-ca npm ci --no-audit --no-fund --loglevel=error > /dev/null)
(cd examples/go-redis && GOTOOLCHAIN=local go build -o "$built/go/images" .)
rm -rf "$built/java/lib" "$built/java/classes"
mvn -q -B -f examples/lettuce/pom.xml dependency:copy-dependencies "-DoutputDirectory=$built/java/lib"
sh tests/clients/jars.sh "$built/java/lib" examples/lettuce/jars.sha256
javac -nowarn -Xlint:-deprecation -cp "$built/java/lib/*" -d "$built/java/classes" examples/lettuce/src/main/java/*.java
