"""The only room that speaks SQL: connection, migrations, and the store, one file in ``queries/`` a statement."""
