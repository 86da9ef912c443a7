//! What a server's error numbers mean to a client that reads: whose fault it is, whether it passes, and what to do.
//!
//! Gone through once: the lists of MySQL 9.7 and MariaDB 10.11, for all that a client like this one can meet. Numbers
//! that are not here are reported as `SOURCE_FAILED`, with the server's own text.

use crate::error::code::Code;
use crate::error::database::{Class, Transience};
use Transience::{Lasting, Lost, Overloaded};

pub const LOST_HINT: &str = "the server or the way to it is gone, or slower than --read-timeout; nothing is lost: run the \
                             command again, or wait longer with --retry-for";
const GRANT_HINT: &str = "GRANT SELECT on the schema to the account; if a role holds it, make the role active with \
                          SET DEFAULT ROLE; nothing more is needed";
const RESOURCES_HINT: &str = "the server has run out of the resource named above; free it or raise its limit on the \
                              server, lower --workers, or wait longer with --retry-for";
const STORAGE_HINT: &str = "the server cannot read a table's data; look into the server's log, and repair the table there \
                            (CHECK TABLE names what is wrong)";
const LIMIT_HINT: &str = "a limit on statements that the server sets and does not let this account lift; raise it for \
                          the account, or lower --batch-size";
pub const PLUGIN_HINT: &str = "this program logs in with mysql_native_password and caching_sha2_password: give the account \
                               one of the two (MariaDB: IDENTIFIED VIA mysql_native_password; MySQL: IDENTIFIED WITH \
                               caching_sha2_password)";

/// Numbers, and the class of all of them.
type Row = (&'static [u16], Code, Transience, &'static str);

const ROWS: &[Row] = &[
    // Who may log in.
    (
        &[1045, 1698, 1873],
        Code::SourceLoginRefused,
        Lasting,
        "check user and password in --source, or SAKILA_SYNC_SOURCE_PASSWORD; in the URL, write / ? # @ % of a password \
         as %2F %3F %23 %40 %25",
    ),
    (
        // Locked by hand; after too many wrong passwords, on MySQL and on MariaDB.
        &[3118, 4151, 3955, 4150],
        Code::SourceAccountLocked,
        Lasting,
        "the server has locked the account, by hand or after too many wrong passwords; unlock it with ALTER USER ... \
         ACCOUNT UNLOCK (MariaDB also: FLUSH PRIVILEGES), and check the password before the next run",
    ),
    (
        &[1820, 1862],
        Code::SourcePasswordExpired,
        Lasting,
        "the account's password has expired; set a new one on the server",
    ),
    (
        &[1129],
        Code::SourceHostBlocked,
        Lasting,
        "too many connections from this host were cut off before they had logged in; unblock it with \
         `mysqladmin flush-hosts` (MySQL also: TRUNCATE TABLE performance_schema.host_cache), and raise \
         max_connect_errors if a load balancer probes the port",
    ),
    (
        &[1042, 1130],
        Code::SourceHostDenied,
        Lasting,
        "no account of the server may log in from this host; create one as 'USER'@'HOST' or 'USER'@'%'",
    ),
    (
        &[1251, 1524, 2059, 4055],
        Code::SourcePluginUnsupported,
        Lasting,
        PLUGIN_HINT,
    ),
    (
        &[1043, 1835],
        Code::SourceFailed,
        Lasting,
        "what listens there does not understand this program: check host and port in --source, and proxies between",
    ),
    (
        &[3159],
        Code::SourceTlsRequired,
        Lasting,
        "the server takes no connection without TLS; leave ssl-mode=DISABLED out of --source",
    ),
    // What an account may read.
    (
        &[1044, 3879],
        Code::SourceSchemaDenied,
        Lasting,
        // The same whether or not the schema exists.
        "check the schema's name at the end of --source; if it is right, GRANT SELECT on it to the account; if a role \
         holds the privilege, make the role active with SET DEFAULT ROLE",
    ),
    (&[1142, 1143, 1370], Code::SourceSelectDenied, Lasting, GRANT_HINT),
    (
        &[1227],
        Code::SourcePrivilegeDenied,
        Lasting,
        "the server wants the privilege named above for a statement of this program; grant it to the account, and \
         report this: SELECT should be enough",
    ),
    (
        &[1046, 1049],
        Code::SourceSchemaUnknown,
        Lasting,
        "name an existing schema at the end of --source: mysql://user@host:3306/sakila",
    ),
    // Limits on connections.
    (
        &[1040],
        Code::SourceConnectionsExhausted,
        Overloaded,
        "the server has as many connections as max_connections allows; close some, raise it, or lower --workers",
    ),
    (
        &[1203],
        Code::SourceConnectionsExhausted,
        Overloaded,
        "the account has as many connections as the server's max_user_connections allows; close some, raise it, or \
         lower --workers",
    ),
    (
        &[1226],
        Code::SourceConnectionsExhausted,
        Overloaded,
        "the account has reached its limit named above (MAX_USER_CONNECTIONS, MAX_QUERIES_PER_HOUR, ...); close its other \
         connections, raise it with ALTER USER, or lower --workers",
    ),
    // Shutting down; a connection that was cut, by hand, for being idle or by a proxy; a statement that was killed, or
    // lost against another one; a row or table that was changed or altered under a snapshot.
    (
        &[
            1020, 1028, 1053, 1077, 1078, 1079, 1080, 1152, 1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161, 1184, 1205,
            1213, 1317, 1412, 1613, 1614, 1689, 1927, 2002, 2003, 2006, 2013, 2055, 3058, 3101, 3168, 3169, 3572, 3889,
            4031, 9001, 9002,
        ],
        Code::SourceLost,
        Lost,
        LOST_HINT,
    ),
    // Up, but not serving: a Galera node that is not in step, a member of a replication group, a server in offline mode
    // or under a backup.
    (
        &[
            1047, 3032, 3092, 3093, 3094, 3095, 3096, 3097, 3098, 3100, 3781, 3782, 3783, 3796, 3797, 3798, 3799, 4145,
        ],
        Code::SourceNotReady,
        Overloaded,
        "the server is up but does not serve clients now (a cluster's node that is not in step, offline mode, a backup); \
         wait longer with --retry-for, or name another node in --source",
    ),
    // Memory, disk, threads, files, prepared statements, transactions.
    (
        &[
            1021, 1037, 1038, 1041, 1081, 1114, 1119, 1135, 1206, 1436, 1461, 1637, 1878, 3015, 3019, 3675, 3985, 4081,
        ],
        Code::SourceResourcesExhausted,
        Overloaded,
        RESOURCES_HINT,
    ),
    (
        &[1104, 1153, 1301, 1969, 3024, 3068, 4082],
        Code::SourceStatementLimited,
        Lasting,
        LIMIT_HINT,
    ),
    // Tables that the server cannot read.
    (
        &[
            1016, 1017, 1023, 1024, 1030, 1033, 1034, 1035, 1194, 1195, 1459, 1707, 1712, 1728, 1805, 1812, 1814, 1817,
            1877, 1932, 3000, 3510, 3629,
        ],
        Code::SourceDamaged,
        Lasting,
        STORAGE_HINT,
    ),
    // Dropped, renamed or altered since the run has checked the schema: the next attempt checks it again, and names
    // what is missing.
    (
        &[1029, 1051, 1054, 1109, 1146, 1356],
        Code::SourceAltered,
        Lost,
        "a table or column was dropped, renamed or altered during the run; run the command again: it names what is missing",
    ),
    (
        &[1305, 1193, 1064],
        Code::SourceFailed,
        Lasting,
        "the server does not know a function, a variable or a statement that MySQL and MariaDB have: check that it is one \
         of the two, and no proxy that stands in for one",
    ),
    (
        &[1264, 1292, 1365, 1366, 1690],
        Code::SourceFailed,
        Lasting,
        "a value in the table named above is beyond what its column or a sum can hold; correct it, and run the command again",
    ),
    (
        &[1290, 1792, 1836, 1874, 3989],
        Code::SourceReadOnly,
        Lasting,
        "the server is read-only, or an option forbids the statement; name another server in --source",
    ),
];

/// The class of a server's error number, where it is known.
pub fn class_of(number: u16) -> Option<Class> {
    let (_, code, transience, hint) = ROWS.iter().find(|(numbers, ..)| numbers.contains(&number))?;
    Some(Class {
        code: *code,
        transience: *transience,
        hint,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_number_has_two_classes() {
        let mut seen = HashSet::new();
        for number in ROWS.iter().flat_map(|(numbers, ..)| *numbers) {
            assert!(seen.insert(number), "{number} is listed twice");
        }
    }

    #[test]
    fn numbers_have_the_class_that_their_manuals_describe() {
        for (number, code, transience) in [
            (1047, Code::SourceNotReady, Overloaded),
            (3797, Code::SourceNotReady, Overloaded),
            (1461, Code::SourceResourcesExhausted, Overloaded),
            (1021, Code::SourceResourcesExhausted, Overloaded),
            (1135, Code::SourceResourcesExhausted, Overloaded),
            (1129, Code::SourceHostBlocked, Lasting),
            (1130, Code::SourceHostDenied, Lasting),
            (3955, Code::SourceAccountLocked, Lasting),
            (3118, Code::SourceAccountLocked, Lasting),
            (4151, Code::SourceAccountLocked, Lasting),
            (1045, Code::SourceLoginRefused, Lasting),
            (1227, Code::SourcePrivilegeDenied, Lasting),
            (1040, Code::SourceConnectionsExhausted, Overloaded),
            (1184, Code::SourceLost, Lost),
            (3572, Code::SourceLost, Lost),
            (1146, Code::SourceAltered, Lost),
            (1969, Code::SourceStatementLimited, Lasting),
            (3024, Code::SourceStatementLimited, Lasting),
            (1104, Code::SourceStatementLimited, Lasting),
            (1712, Code::SourceDamaged, Lasting),
            (1836, Code::SourceReadOnly, Lasting),
        ] {
            let class = class_of(number).unwrap_or_else(|| panic!("{number} is not listed"));
            assert_eq!((class.code, class.transience), (code, transience), "{number}");
        }
        assert!(class_of(1).is_none());
    }

    #[test]
    fn each_limit_on_connections_is_told_by_its_own_name() {
        let hint = |number| class_of(number).unwrap().hint;
        assert!(hint(1040).contains("max_connections"));
        assert!(hint(1203).contains("max_user_connections"));
        assert!(hint(1226).contains("MAX_USER_CONNECTIONS"));
        assert!(hint(1044).contains("SET DEFAULT ROLE") && hint(1142).contains("SET DEFAULT ROLE"));
    }
}
