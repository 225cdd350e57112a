#!/bin/sh
# Installs and builds the clients that are not in the test environment: into .clients, .venv and node/node_modules.
# Packages come by name from PyPI, npm, the Go module proxy and Maven Central, and are held to the digests that stand in
# requirements.txt, package-lock.json, go.sum and jars.sha256.
set -eu
cd "$(dirname "$0")"
root=../..
built=$root/.clients

say() { printf '  %s\n' "$*" >&2; }

mkdir -p "$built/go" "$built/java"
say 'installing the clients for Python, Node.js, Go and Java (about a minute the first time)'
"$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
PATH=$PWD/$root/.venv/bin:$PATH # its Go and Node.js
# PyPI's Node.js knows its own authorities alone, a company's are in the system's store.
(cd node && NODE_OPTIONS=--use-system-ca npm ci --no-audit --no-fund --loglevel=error > /dev/null)
(cd go && GOTOOLCHAIN=local go build -o "../$built/go/driver" .)
rm -rf "$built/java/lib" "$built/java/classes"
mvn -q -B -f java/pom.xml dependency:copy-dependencies "-DoutputDirectory=$PWD/$built/java/lib"
sh jars.sh "$built/java/lib" java/jars.sha256
javac -nowarn -Xlint:-deprecation -cp "$built/java/lib/*" -d "$built/java/classes" java/*.java
