#!/bin/sh
# Installs and builds the clients that are not in the test environment: into .clients, .venv and node/node_modules.
# Packages come by name from PyPI, npm, the Go module proxy and Maven Central.
set -eu
cd "$(dirname "$0")"
root=../..
built=$root/.clients

say() { printf '  %s\n' "$*" >&2; }

# Debian 12's Go and Node.js are older than these libraries allow.
need() {
    if [ "$(printf '%s\n%s\n' "$2" "$3" | sort -V | head -n 1)" != "$2" ]; then
        say "$1 $3 is too old: the client needs $2 or newer. Put a newer one on PATH"
        exit 1
    fi
}
need Node.js 20 "$(node --version | tr -d v)"
need Go "$(awk '$1 == "go" { print $2 }' go/go.mod)" "$(GOTOOLCHAIN=local go env GOVERSION | tr -d go)"

mkdir -p "$built/go" "$built/java"
say 'installing the clients for Python, Node.js, Go and Java (about a minute the first time)'
"$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.txt
(cd node && npm install --no-package-lock --no-audit --no-fund --loglevel=error > /dev/null)
(cd go && GOTOOLCHAIN=local go build -o "../$built/go/driver" .)
rm -rf "$built/java/lib" "$built/java/classes"
mvn -q -B -f java/pom.xml dependency:copy-dependencies "-DoutputDirectory=$PWD/$built/java/lib"
javac -nowarn -Xlint:-deprecation -cp "$built/java/lib/*" -d "$built/java/classes" java/*.java
