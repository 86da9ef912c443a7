# shellcheck shell=bash
# The account that sakila-sync reads with: it may read the schema and see open transactions, and nothing else. Sourced
# by the image's entrypoint when the data folder is made; it must not be executable, or it would not be sourced.
reader_password=$(</run/secrets/reader_password)
reader_password=${reader_password//\\/\\\\}
reader_password=${reader_password//\'/\\\'}
docker_process_sql <<SQL
CREATE USER 'reader'@'%' IDENTIFIED BY '$reader_password' REQUIRE SSL;
GRANT SELECT ON sakila.* TO 'reader'@'%';
GRANT PROCESS ON *.* TO 'reader'@'%';
SQL
unset reader_password
