//! The migrated schema of the star equals the one that its entities describe; a unit test checks the engine's own
//! tables.

use sakila_sync::sakila::star::{
    bridge_film_actor, bridge_film_category, dim_actor, dim_category, dim_customer, dim_film, dim_staff, dim_store,
    fact_payment, fact_rental,
};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, EntityTrait, Schema};
use star_sync::declare::dim_date;

use crate::harness::Sandbox;

/// Columns, keys and foreign keys of every table as SQLite reports them, one per line.
const SHAPE: [&str; 3] = [
    "SELECT m.name || '.' || c.name || ' ' || c.type || ' notnull=' || c.\"notnull\" || ' pk=' || c.pk \
     FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name GLOB '[dbf]*_*'",
    "SELECT m.name || '.' || f.\"from\" || ' -> ' || f.\"table\" || '.' || f.\"to\" \
     FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'",
    "SELECT m.name || ' unique ' || c.name FROM sqlite_master m JOIN pragma_index_list(m.name) i \
     JOIN pragma_index_info(i.name) c WHERE m.type = 'table' AND i.\"unique\" \
     AND m.name GLOB '[dbf]*_*'",
];

#[test]
fn the_migrated_schema_is_what_the_entities_would_create() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    let by_entities = sandbox.folder().join("entities.db");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let created = runtime.block_on(async {
        let connection = Database::connect(format!("sqlite://{}?mode=rwc", by_entities.display()))
            .await
            .unwrap();
        create(&connection, dim_date::Entity).await;
        create(&connection, dim_film::Entity).await;
        create(&connection, dim_actor::Entity).await;
        create(&connection, dim_category::Entity).await;
        create(&connection, dim_store::Entity).await;
        create(&connection, dim_staff::Entity).await;
        create(&connection, dim_customer::Entity).await;
        create(&connection, bridge_film_actor::Entity).await;
        create(&connection, bridge_film_category::Entity).await;
        create(&connection, fact_rental::Entity).await;
        create(&connection, fact_payment::Entity).await;
        connection.close().await.unwrap();
        by_entities
    });
    for shape in SHAPE {
        let migrated = sandbox.star(shape);
        assert!(!migrated.is_empty());
        assert_eq!(migrated, sandbox.query(&created, shape));
    }
}

async fn create(connection: &DatabaseConnection, entity: impl EntityTrait) {
    let statement = Schema::new(connection.get_database_backend()).create_table_from_entity(entity);
    connection.execute(&statement).await.unwrap();
}

#[test]
fn surrogate_keys_are_never_handed_out_again() {
    let sandbox = Sandbox::loaded();
    let highest = sandbox.figure("SELECT MAX(fact_payment_key) FROM fact_payment");
    let payment = sandbox.figure(&format!(
        "SELECT payment_id FROM fact_payment WHERE fact_payment_key = {highest}"
    ));
    sandbox.change(&[&format!("DELETE FROM payment WHERE payment_id = {payment}")]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.change(&[
        "INSERT INTO payment (payment_id, customer_id, staff_id, amount, payment_date) VALUES (60001, 1, 1, 1.00, NOW())",
    ]);
    sandbox.run(&["incremental"]).succeeds();
    let new: i64 = sandbox
        .figure("SELECT fact_payment_key FROM fact_payment WHERE payment_id = 60001")
        .parse()
        .unwrap();
    assert!(new > highest.parse().unwrap());
}
