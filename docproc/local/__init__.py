"""What a laptop needs instead of servers: an embedded Postgres cluster and the mock services, shared by all."""
