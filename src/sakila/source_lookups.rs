//! Maps from one source key to another, for facts: joining a million rows in memory is cheaper than on the server.

use star_sync::declare::lookup::{Lookup, Side};

/// inventory_id to film_id.
pub static INVENTORY_FILM: Lookup = Lookup {
    name: "inventory",
    side: Side::Source,
    table: "inventory",
    key: "inventory_id",
    value: "film_id",
    published_by: None,
};

/// inventory_id to store_id.
pub static INVENTORY_STORE: Lookup = Lookup {
    name: "inventory",
    side: Side::Source,
    table: "inventory",
    key: "inventory_id",
    value: "store_id",
    published_by: None,
};

/// staff_id to store_id.
pub static STAFF_STORE: Lookup = Lookup {
    name: "staff",
    side: Side::Source,
    table: "staff",
    key: "staff_id",
    value: "store_id",
    published_by: None,
};

/// rental_id to inventory_id.
pub static RENTAL_ITEM: Lookup = Lookup {
    name: "rental",
    side: Side::Source,
    table: "rental",
    key: "rental_id",
    value: "inventory_id",
    published_by: None,
};
