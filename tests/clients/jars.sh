#!/bin/sh
# Holds the libraries that Maven brought to their digests: those of the list, no other file, and each byte for byte.
#   jars.sh FOLDER LIST
# Maven 3.8 of Debian has no trusted checksums of its own. What it runs itself, its plugins, is not held to a digest.
# After a change of a pom.xml the new list is what `sha256sum -- *.jar` prints in the folder; read what changed in it.
set -eu
folder=$1
list=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
cd "$folder"
there=$(find . -type f | sed 's|^\./||' | LC_ALL=C sort)
listed=$(sed 's/^[0-9a-f]* [ *]//' "$list" | LC_ALL=C sort)
if [ "$there" != "$listed" ]; then
    printf 'Maven brought other files than %s lists.\nbrought:\n%s\nlisted:\n%s\n' "$2" "$there" "$listed" >&2
    exit 1
fi
sha256sum --check --strict --quiet "$list"
