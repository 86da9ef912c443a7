# Functions that check and install what scripts/demo, scripts/test and others need. To be sourced after `set -euo
# pipefail`.
#
# Packages of Debian and Ubuntu are installed with apt-get, as root or through sudo; MySQL is unpacked into the user's
# cache folder (scripts/install-mysql). Each installation is announced before it starts. What is installed already is
# not changed.

say() { echo "${0##*/}: $*" >&2; }
fail() { say "$@"; exit 1; }

# Checks that Rust is installed, in the version that Cargo.toml requires.
require_rust() {
  local needed found
  needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -1)
  # A shell that was opened before rustup was installed does not have its folder on the PATH.
  if ! command -v cargo >/dev/null && [ -r "${HOME:-}/.cargo/env" ]; then . "$HOME/.cargo/env"; fi
  command -v cargo >/dev/null || fail "Rust is missing: install $needed or newer from https://rustup.rs"
  found=$(rustc --version | cut -d' ' -f2)
  [ "$(printf '%s\n' "$needed" "$found" | sort -V | head -1)" = "$needed" ] ||
    fail "Rust $found is too old: install $needed or newer from https://rustup.rs, or run \`rustup update\`"
}

# install_packages WHAT PACKAGE...: installs Debian packages, or prints what to install if that is not possible.
install_packages() {
  local why=$1 root=()
  shift
  if ! command -v apt-get >/dev/null; then
    say "$why is missing, and this is neither Debian nor Ubuntu. Install it and run this again:"
    say "  Fedora: sudo dnf install gcc mariadb-server    Arch: sudo pacman -S gcc mariadb    macOS: brew install mysql"
    return 1
  fi
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
      say "$why is missing, and there is neither root nor sudo. As root: apt-get install --no-install-recommends $*"
      return 1
    fi
    root=(sudo)
  fi
  say "$why is missing; installing with ${root[*]:+${root[*]} }apt-get: $*"
  # Another apt may be running, for example on a machine that has just been started.
  local wait=(-o DPkg::Lock::Timeout=600)
  if ! update_lists "${root[@]}" ||
    ! "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "${wait[@]}" install -q --yes --no-install-recommends "$@" >&2; then
    say "that failed. As root: apt-get install --no-install-recommends $*"
    return 1
  fi
}

# update_lists [sudo]: updates apt's lists. Retries, because apt's lock timeout does not apply to the lock of the lists.
update_lists() {
  local answer until=$((SECONDS + 600))
  until answer=$("$@" env LC_ALL=C apt-get update -q 2>&1); do
    if [ $SECONDS -ge $until ] || ! grep -q "Could not get lock" <<<"$answer"; then
      echo "$answer" >&2
      return 1
    fi
    sleep 2
  done
}

# Installs the C compiler, for SQLite, and the linker.
require_compiler() {
  command -v cc >/dev/null || install_packages "a C compiler" gcc libc6-dev || exit 1
}

# Prints the folder of Prometheus, promtool and node_exporter; installs them if they are missing.
prometheus_folder() {
  local folder
  folder=$(dirname "$(on_path promtool)")
  if has_prometheus "$folder"; then
    echo "$folder"
  elif ! scripts/install-prometheus; then
    say "the tests of the metrics need prometheus, promtool and prometheus-node-exporter in one folder on the PATH"
    return 1
  fi
}

has_prometheus() { [ -x "$1/prometheus" ] && [ -x "$1/promtool" ] && [ -x "$1/prometheus-node-exporter" ]; }

is_mysql() { [ -x "$1" ] && "$1" --version 2>/dev/null | grep -qv MariaDB; }
is_mariadb() { [ -x "$1" ] && "$1" --version 2>/dev/null | grep -q MariaDB; }
on_path() { PATH=$PATH:/usr/sbin:/usr/local/sbin command -v "$1" || true; }

# Prints the path of a MySQL server that runs from any folder; installs one if necessary, and prints nothing if that
# fails. On Ubuntu, AppArmor confines the installed mysqld to its own folders, so that of scripts/install-mysql is used
# there.
mysql_server() {
  local system
  system=$(on_path mysqld)
  if [ ! -e /etc/apparmor.d/usr.sbin.mysqld ] && [ -n "$system" ] && is_mysql "$system"; then
    echo "$system"
  else
    scripts/install-mysql || true
  fi
}

# The same for MariaDB. The packages contain only the server and my_print_defaults, which the script that creates a data
# folder calls; they start no service.
mariadb_server() {
  local server
  server=$(on_path mariadbd)
  if [ -z "$server" ] || [ -z "$(on_path my_print_defaults)" ]; then
    if install_packages "MariaDB" mariadb-server-core mariadb-client-core; then server=$(on_path mariadbd); fi
  fi
  if [ -n "$server" ] && is_mariadb "$server"; then echo "$server"; fi
}
