//! The statements of direct writers. `?` stands for a key that may or may not exist.

/// Changes that set a new timestamp, and deleted payments, which row counts reveal.
pub const OPEN: [&str; 8] = [
    "UPDATE payment SET amount = amount + 0.01 WHERE payment_id = ? AND amount < 900",
    "UPDATE payment SET customer_id = ? % 500 + 1 WHERE payment_id = ?",
    "UPDATE rental SET return_date = rental_date + INTERVAL 3 DAY WHERE rental_id = ?",
    "INSERT INTO payment (customer_id, staff_id, rental_id, amount, payment_date) \
     SELECT customer_id, staff_id, rental_id, 1.11, NOW() FROM rental WHERE rental_id = ?",
    "DELETE FROM payment WHERE payment_id = ?",
    "UPDATE inventory SET store_id = 3 - store_id WHERE inventory_id = ? % 4000 + 1",
    "UPDATE city SET city = CONCAT('City ', ?) WHERE city_id = ? % 600 + 1",
    "UPDATE customer SET active = 1 - active WHERE customer_id = ? % 500 + 1",
];
/// Deletes that affect rows without a new timestamp: the payments of a deleted rental lose it, and count at another
/// store.
pub const CASCADING: [&str; 2] = [
    "DELETE FROM rental WHERE rental_id = ?",
    "DELETE FROM payment WHERE rental_id = ?",
];
/// Changes that neither a timestamp nor a row count reveals.
pub const SILENT: [&str; 5] = [
    "UPDATE payment SET amount = amount + 0.01, last_update = last_update WHERE payment_id = ? AND amount < 900",
    "UPDATE payment SET rental_id = NULL, last_update = last_update WHERE payment_id = ?",
    "UPDATE rental SET staff_id = 3 - staff_id, last_update = last_update WHERE rental_id = ?",
    "UPDATE inventory SET store_id = 3 - store_id, last_update = last_update WHERE inventory_id = ? % 4000 + 1",
    "UPDATE city SET city = CONCAT('Silent ', ?), last_update = last_update WHERE city_id = ? % 600 + 1",
];
