//! Weights of the kinds of changes, and of the tables they affect.

/// Tables in which rows are inserted and updated, with their weights.
pub const TABLES: [(u64, &str); 13] = [
    (6, "rental"),
    (6, "payment"),
    (5, "customer"),
    (4, "film"),
    (4, "inventory"),
    (2, "actor"),
    (2, "address"),
    (2, "city"),
    (2, "staff"),
    (1, "category"),
    (1, "store"),
    (1, "country"),
    (1, "language"),
];
/// Tables whose rows are deleted, unless other rows refer to them.
pub const DELETED: [(u64, &str); 7] = [
    (6, "payment"),
    (6, "rental"),
    (2, "customer"),
    (1, "inventory"),
    (1, "film"),
    (1, "actor"),
    (1, "city"),
];
/// Tables whose rows are deleted together with all rows that refer to them; these statements delete those first.
pub const DELETED_WHOLE: [(&str, &[&str]); 5] = [
    (
        "customer",
        &[
            "DELETE FROM payment WHERE customer_id = ?",
            "DELETE FROM rental WHERE customer_id = ?",
        ],
    ),
    (
        "film",
        &[
            "DELETE p FROM payment p JOIN rental USING (rental_id) JOIN inventory USING (inventory_id) WHERE film_id = ?",
            "DELETE r FROM rental r JOIN inventory USING (inventory_id) WHERE film_id = ?",
            "DELETE FROM inventory WHERE film_id = ?",
            "DELETE FROM film_actor WHERE film_id = ?",
            "DELETE FROM film_category WHERE film_id = ?",
        ],
    ),
    ("inventory", &["DELETE FROM rental WHERE inventory_id = ?"]),
    ("actor", &["DELETE FROM film_actor WHERE actor_id = ?"]),
    ("category", &["DELETE FROM film_category WHERE category_id = ?"]),
];
/// Child and parent tables, where the parent row may be missing.
pub const ORPHANS: [(&str, &str); 8] = [
    ("rental", "customer"),
    ("rental", "inventory"),
    ("rental", "staff"),
    ("payment", "rental"),
    ("payment", "customer"),
    ("inventory", "film"),
    ("customer", "address"),
    ("film", "language"),
];
/// Tables whose rows may be deleted and leave orphans.
pub const VANISHING: [(u64, &str); 11] = [
    (4, "rental"),
    (4, "customer"),
    (4, "inventory"),
    (2, "film"),
    (2, "actor"),
    (1, "category"),
    (1, "staff"),
    (1, "store"),
    (1, "address"),
    (1, "city"),
    (1, "language"),
];

/// Columns in which two rows exchange their values, so that the sum is unchanged.
pub const EXCHANGED: [(&str, &str); 6] = [
    ("payment", "amount"),
    ("payment", "staff_id"),
    ("rental", "return_date"),
    ("inventory", "film_id"),
    ("customer", "address_id"),
    ("city", "country_id"),
];
/// Tables that are truncated and refilled, with the change that one of the rows returns with.
pub const TRUNCATED: [(&str, &str); 5] = [
    ("payment", "amount = amount + 1"),
    ("rental", "return_date = NULL"),
    ("inventory", "store_id = 3 - store_id"),
    ("customer", "active = 1 - active"),
    ("city", "city = 'Elsewhere'"),
];
/// Tables that are replaced by another table: those that no other table refers to.
pub const REPLACED: [&str; 2] = ["payment", "film_actor"];

/// Kinds of changes with their weights. Silent kinds leave no new timestamp and mostly no changed row count.
pub const KINDS: [(u64, Kind); 18] = [
    (12, Kind::Insert),
    (12, Kind::Update),
    (6, Kind::Delete),
    (2, Kind::DeleteWhole),
    (4, Kind::ChangeKey),
    (4, Kind::Link),
    (4, Kind::Unlink),
    (2, Kind::Vanish),
    (2, Kind::Orphan),
    (5, Kind::BringBack),
    (10, Kind::SilentUpdate),
    (5, Kind::SilentInsert),
    (5, Kind::SilentExchange),
    (3, Kind::SilentKeyChange),
    (3, Kind::SilentSwap),
    (3, Kind::SilentValueExchange),
    (1, Kind::Truncate),
    (1, Kind::Replace),
];

#[derive(Clone, Copy)]
pub enum Kind {
    Insert,
    Update,
    Delete,
    DeleteWhole,
    ChangeKey,
    Link,
    Unlink,
    Vanish,
    Orphan,
    BringBack,
    SilentUpdate,
    SilentInsert,
    SilentExchange,
    SilentKeyChange,
    SilentSwap,
    SilentValueExchange,
    Truncate,
    Replace,
}
