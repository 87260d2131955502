COPY incoming_vectors (chunk_id, embed_sha, vector, vector_sha) FROM STDIN WITH (FORMAT binary)
