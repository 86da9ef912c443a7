# Functions for the install scripts: download packages with apt-get without root, with package lists, cache and status
# of their own, and unpack them into a folder. The system is not changed. To be sourced after `set -euo pipefail`.

say() { echo "${0##*/}: $*" >&2; }
fail() { say "$@"; exit 1; }

# own_apt_begin DEBIAN_SUITE WHAT: prepares a temporary folder and downloads the package lists. On Ubuntu, DEBIAN_SUITE is
# ignored, and the configured suites are used. WHAT is for error messages.
own_apt_begin() {
  local suite=$1 what=$2 distribution keyring mirror
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || fail "this is neither Debian nor Ubuntu; install $what yourself"
  [ "$(dpkg --print-architecture)" = amd64 ] || fail "only amd64 is prepared; install $what yourself"
  distribution=$(. /etc/os-release && echo "$ID")
  own_apt_folder=$(mktemp -d)
  trap 'rm -rf "$own_apt_folder"' EXIT
  mkdir -p "$own_apt_folder/lists/partial" "$own_apt_folder/cache/archives/partial"
  : >"$own_apt_folder/status"
  own_apt_options=(-o "Dir::State::lists=$own_apt_folder/lists" -o "Dir::State::status=$own_apt_folder/status"
    -o "Dir::Cache=$own_apt_folder/cache" -o APT::Sandbox::User= -o Debug::NoLocking=1)
  case $distribution in
    ubuntu)
      own_apt_options+=(-o Dir::Etc::sourcelist=/etc/apt/sources.list -o Dir::Etc::sourceparts=/etc/apt/sources.list.d)
      ;;
    debian)
      keyring=/usr/share/keyrings/debian-archive-keyring.gpg
      [ -r "$keyring" ] || fail "$keyring is missing; as root: apt-get install debian-archive-keyring"
      # The mirror that apt already uses for Debian itself.
      mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 2>/dev/null | grep -E '/debian/?$' | head -1 || true)
      mirror=${mirror:-http://deb.debian.org/debian}
      echo "deb [signed-by=$keyring] $mirror $suite main" >"$own_apt_folder/sources.list"
      own_apt_options+=(-o "Dir::Etc::sourcelist=$own_apt_folder/sources.list" -o Dir::Etc::sourceparts=-)
      ;;
    *) fail "$distribution is neither Debian nor Ubuntu; install $what yourself" ;;
  esac
  own_apt update || fail "the lists of packages could not be fetched"
}

# own_apt ARGUMENT...: runs apt-get; prints the last lines of its output if it fails.
own_apt() {
  apt-get "${own_apt_options[@]}" "$@" >"$own_apt_folder/log" 2>&1 || { tail -5 "$own_apt_folder/log" >&2; return 1; }
}

# own_apt_unpack FOLDER: unpacks the downloaded packages.
own_apt_unpack() {
  local archive
  mkdir -p "$1"
  for archive in "$own_apt_folder"/cache/archives/*.deb; do
    dpkg --extract "$archive" "$1"
  done
}
