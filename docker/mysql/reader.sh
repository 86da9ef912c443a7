# shellcheck shell=bash
# Creates the account that sakila-sync reads with: it may read the schema and list in-flight transactions. The entrypoint of the
# image sources this file when it creates the data folder. The file must not be executable: the entrypoint would run it
# in another process, where docker_process_sql does not exist.
reader_password=$(</run/secrets/reader_password)
reader_password=${reader_password//\\/\\\\}
reader_password=${reader_password//\'/\\\'}
docker_process_sql <<SQL
CREATE USER 'reader'@'%' IDENTIFIED BY '$reader_password' REQUIRE SSL;
GRANT SELECT ON sakila.* TO 'reader'@'%';
GRANT PROCESS ON *.* TO 'reader'@'%';
SQL
unset reader_password
