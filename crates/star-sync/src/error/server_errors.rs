//! Classifies the error numbers of a server: who has to act, and whether a retry may succeed.
//!
//! Covers those errors of MySQL 9.7 and MariaDB 10.11 that a client that only reads can get. All other numbers are
//! reported as `SOURCE_FAILED`, with the server's own text.

use crate::error::code::Code;
use crate::error::{Class, Transience};
use Transience::{Lasting, Lost, Overloaded};

/// Error numbers of one class.
type Row = (&'static [u16], Code, Transience);

const ROWS: &[Row] = &[
    // Login.
    (&[1045, 1698, 1873], Code::SourceLoginRefused, Lasting),
    // Locked by an administrator (3118, 4151), or after too many wrong passwords (3955, 4150).
    (&[3118, 4151, 3955, 4150], Code::SourceAccountLocked, Lasting),
    (&[1820, 1862], Code::SourcePasswordExpired, Lasting),
    (&[1129], Code::SourceHostBlocked, Lasting),
    (&[1042, 1130], Code::SourceHostDenied, Lasting),
    (&[1251, 1524, 2059, 4055], Code::SourcePluginUnsupported, Lasting),
    (&[3159], Code::SourceTlsRequired, Lasting),
    // Privileges.
    (&[1044, 3879], Code::SourceSchemaDenied, Lasting),
    (&[1142, 1143, 1370], Code::SourceSelectDenied, Lasting),
    (&[1227], Code::SourcePrivilegeDenied, Lasting),
    (&[1046, 1049], Code::SourceSchemaUnknown, Lasting),
    // Limits on connections.
    (&[1040, 1203, 1226], Code::SourceConnectionsExhausted, Overloaded),
    // Shutdown; a connection that was cut by an administrator, by the idle timeout or by a proxy; a statement that was
    // killed or lost a lock conflict; a row that was changed or a table that was altered under a snapshot.
    (
        &[
            1020, 1028, 1053, 1077, 1078, 1079, 1080, 1152, 1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161, 1184, 1205,
            1213, 1317, 1412, 1613, 1614, 1689, 1927, 2002, 2003, 2006, 2013, 2055, 3058, 3101, 3168, 3169, 3572, 3889,
            4031, 9001, 9002,
        ],
        Code::SourceLost,
        Lost,
    ),
    // Running, but not serving: a Galera node that is not synced, a member of a replication group, a server in offline
    // mode or under a backup.
    (
        &[
            1047, 3032, 3092, 3093, 3094, 3095, 3096, 3097, 3098, 3100, 3781, 3782, 3783, 3796, 3797, 3798, 3799, 4145,
        ],
        Code::SourceNotReady,
        Overloaded,
    ),
    // Exhausted memory, disk, threads, files, prepared statements, transactions.
    (
        &[
            1021, 1037, 1038, 1041, 1081, 1114, 1119, 1135, 1206, 1436, 1461, 1637, 1878, 3015, 3019, 3675, 3985, 4081,
        ],
        Code::SourceResourcesExhausted,
        Overloaded,
    ),
    (
        &[1104, 1153, 1301, 1969, 3024, 3068, 4082],
        Code::SourceStatementLimited,
        Lasting,
    ),
    // Tables that the server cannot read.
    (
        &[
            1016, 1017, 1023, 1024, 1030, 1033, 1034, 1035, 1194, 1195, 1459, 1707, 1712, 1728, 1805, 1812, 1814, 1817,
            1877, 1932, 3000, 3510, 3629,
        ],
        Code::SourceDamaged,
        Lasting,
    ),
    // Dropped, renamed or altered since the run checked the schema: the retry checks it again and names what is
    // missing.
    (&[1029, 1051, 1054, 1109, 1146, 1356], Code::SourceAltered, Lost),
    // Another protocol or dialect; values beyond the range of their column or of a sum.
    (
        &[1043, 1064, 1193, 1264, 1292, 1305, 1365, 1366, 1690, 1835],
        Code::SourceFailed,
        Lasting,
    ),
    (&[1290, 1792, 1836, 1874, 3989], Code::SourceReadOnly, Lasting),
];

/// The class of a server's error number, if it is known.
pub fn class_of_number(number: u16) -> Option<Class> {
    let (_, code, transience) = ROWS.iter().find(|(numbers, ..)| numbers.contains(&number))?;
    Some(Class {
        code: *code,
        transience: *transience,
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

    /// The names are those of the servers' error lists.
    #[test]
    fn an_error_of_the_server_is_told_by_what_its_user_can_do() {
        for (name, number, code, transience) in [
            ("ER_ACCESS_DENIED_ERROR", 1045, Code::SourceLoginRefused, Lasting),
            ("ER_TABLEACCESS_DENIED_ERROR", 1142, Code::SourceSelectDenied, Lasting),
            (
                "ER_TOO_MANY_USER_CONNECTIONS",
                1203,
                Code::SourceConnectionsExhausted,
                Overloaded,
            ),
            ("ER_LOCK_DEADLOCK", 1213, Code::SourceLost, Lost),
            // Galera: WSREP has not yet prepared this node for application use.
            ("ER_UNKNOWN_COM_ERROR", 1047, Code::SourceNotReady, Overloaded),
            ("ER_QUERY_TIMEOUT", 3024, Code::SourceStatementLimited, Lasting),
            ("ER_STATEMENT_TIMEOUT", 1969, Code::SourceStatementLimited, Lasting),
            ("ER_NO_SUCH_TABLE", 1146, Code::SourceAltered, Lost),
        ] {
            let class = class_of_number(number).unwrap();
            assert!(class.code == code && class.transience == transience, "{name}");
        }
        assert!(class_of_number(9999).is_none());
    }
}
