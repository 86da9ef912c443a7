//! Maps from one source key to another, for facts: joining a million rows in memory is cheaper than on the server.

use std::sync::LazyLock;

use star_sync::declare::Lookup;

use super::source::{inventory, rental, staff};

/// inventory_id to film_id.
pub static INVENTORY_FILM: LazyLock<Lookup> = LazyLock::new(|| {
    use inventory::Column::{FilmId, InventoryId};
    Lookup::in_source("inventory", InventoryId, FilmId)
});

/// inventory_id to store_id.
pub static INVENTORY_STORE: LazyLock<Lookup> = LazyLock::new(|| {
    use inventory::Column::{InventoryId, StoreId};
    Lookup::in_source("inventory", InventoryId, StoreId)
});

/// staff_id to store_id.
pub static STAFF_STORE: LazyLock<Lookup> =
    LazyLock::new(|| Lookup::in_source("staff", staff::Column::StaffId, staff::Column::StoreId));

/// rental_id to inventory_id.
pub static RENTAL_ITEM: LazyLock<Lookup> = LazyLock::new(|| {
    use rental::Column::{InventoryId, RentalId};
    Lookup::in_source("rental", RentalId, InventoryId)
});
