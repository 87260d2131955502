"""LlamaParse and OpenAI embeddings as one real HTTP server on loopback, with faults to order and a bill to check."""
