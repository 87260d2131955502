"""LlamaParse, OpenAI embeddings and Supabase Storage as one HTTP server on loopback, with faults and a bill."""
