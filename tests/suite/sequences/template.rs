//! The source that every sequence starts from: a seeded Sakila reduced to a few hundred rows.

use crate::harness::Sandbox;

/// Keys keep gaps, so that new rows can fall between others.
const CUTS: [&str; 15] = [
    "DELETE FROM film WHERE film_id % 12 <> 1",
    "DELETE FROM actor WHERE actor_id % 5 <> 1",
    "DELETE FROM customer WHERE customer_id % 10 <> 1",
    "DELETE FROM film_actor WHERE film_id NOT IN (SELECT film_id FROM film) \
     OR actor_id NOT IN (SELECT actor_id FROM actor)",
    "DELETE FROM film_category WHERE film_id NOT IN (SELECT film_id FROM film)",
    "DELETE FROM inventory WHERE film_id NOT IN (SELECT film_id FROM film)",
    "DELETE FROM rental WHERE inventory_id NOT IN (SELECT inventory_id FROM inventory) \
     OR customer_id NOT IN (SELECT customer_id FROM customer)",
    "DELETE FROM inventory WHERE inventory_id % 5 <> 1 AND inventory_id NOT IN (SELECT inventory_id FROM rental)",
    "DELETE FROM payment WHERE rental_id NOT IN (SELECT rental_id FROM rental) \
     OR customer_id NOT IN (SELECT customer_id FROM customer)",
    "UPDATE payment SET rental_id = NULL, last_update = last_update WHERE payment_id % 15 = 0",
    "DELETE FROM address WHERE address_id NOT IN (SELECT address_id FROM customer \
     UNION SELECT address_id FROM store UNION SELECT address_id FROM staff)",
    "DELETE FROM city WHERE city_id NOT IN (SELECT city_id FROM address)",
    "DELETE FROM country WHERE country_id NOT IN (SELECT country_id FROM city)",
    // The sync does not read it, and its index is slow to create.
    "DROP TABLE film_text",
    "DROP TABLE sakila_sync_seed",
];

pub fn small_sakila() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.change(&["SET foreign_key_checks = 0"]);
    sandbox.change(&CUTS);
    sandbox
}
