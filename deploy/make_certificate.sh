#!/bin/sh
# Makes a certificate for this machine's names and addresses, in the folder "certificate" beside
# this script, and at the first time the private authority (CA) that signs it.
#
#     deploy/make_certificate.sh [NAME...]     more names or addresses of this machine
#
# Run it again when an address has changed, or once a year. Browsers that trust ca.crt need no new
# one then. Whoever has ca.key can sign for the names that the authority is limited to: private
# addresses, names that end in .local, and this machine's own. It cannot sign for the internet.
set -euf
umask 077

folder=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)/certificate
days=397  # Some browsers accept no certificate for a longer time.

# This machine's addresses: on Linux, then on macOS.
addresses() {
    hostname -I 2> /dev/null \
        || ifconfig | awk '$1 == "inet" || $1 == "inet6" { sub(/%.*/, "", $2); print $2 }'
}

names() {
    name=$(hostname)
    printf '%s\n' localhost 127.0.0.1 ::1 "$name" "${name%%.*}.local"
    hostname -f 2> /dev/null || true
    addresses | tr ' ' '\n'
}

# Each line once, without link-local addresses of IPv6, which a browser cannot open.
distinct() {
    awk 'NF && !/^fe80:/ && !seen[$1]++ { print $1 }'
}

is_address() {
    case $1 in
        *:*) true ;;
        *[!0-9.]*) false ;;
        *) true ;;
    esac
}

# The names as a certificate lists them: DNS:NAME,IP:ADDRESS
listed() {
    for one in "$@"; do
        if is_address "$one"; then printf 'IP:%s,' "$one"; else printf 'DNS:%s,' "$one"; fi
    done | sed 's/,$//'
}

# What the authority may sign for: private networks, .local, and the names given.
limits() {
    cat << END
permitted;DNS:local
permitted;IP:10.0.0.0/255.0.0.0
permitted;IP:172.16.0.0/255.240.0.0
permitted;IP:192.168.0.0/255.255.0.0
permitted;IP:169.254.0.0/255.255.0.0
permitted;IP:127.0.0.0/255.0.0.0
permitted;IP:fc00::/fe00::
END
    for one in "$@"; do
        case $one in
            *:*) printf 'permitted;IP:%s/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n' "$one" ;;
            *) if is_address "$one"; then printf 'permitted;IP:%s/255.255.255.255\n' "$one"
               else printf 'permitted;DNS:%s\n' "$one"; fi ;;
        esac
    done
}

new_key() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$1"
}

# shellcheck disable=SC2046
set -- $({ names; printf '%s\n' "$@"; } | distinct)
mkdir -p "$folder"
cd "$folder"

if ! openssl x509 -in ca.crt -noout -checkend $((days * 86400)) > /dev/null 2>&1; then
    cat > ca.cnf << END
[req]
prompt = no
distinguished_name = name
x509_extensions = authority
[name]
CN = cnnviz on $(hostname)
[authority]
basicConstraints = critical, CA:true, pathlen:0
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
nameConstraints = critical, $(limits "$@" | paste -s -d , -)
END
    new_key ca.key
    openssl req -x509 -new -sha256 -config ca.cnf -key ca.key -days $((days * 3)) -out ca.crt
fi

cat > server.cnf << END
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = $(listed "$@")
END
new_key new.key
openssl req -new -sha256 -key new.key -subj "/CN=$(hostname)" -out server.csr
openssl x509 -req -sha256 -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial \
    -days "$days" -extfile server.cnf -out new.crt 2> /dev/null
rm -f ca.cnf ca.srl server.cnf server.csr

if ! openssl verify -CAfile ca.crt new.crt > /dev/null 2>&1; then
    rm -f new.crt new.key
    echo "The authority of $folder may not sign for a name of this machine that is new: $*" >&2
    echo "Delete ca.crt and ca.key there, run this again, and have browsers trust the new one." >&2
    exit 1
fi
mv new.key server.key
mv new.crt server.crt
chmod 644 ca.crt server.crt
echo "Made $folder/server.crt for: $*"
echo "Browsers warn of it once, and then open the page. For no warning, have them trust"
echo "$folder/ca.crt; its fingerprint:"
openssl x509 -in ca.crt -noout -fingerprint -sha256
