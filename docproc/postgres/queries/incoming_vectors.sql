CREATE TEMPORARY TABLE incoming_vectors (
  chunk_id uuid NOT NULL, embed_sha text NOT NULL, vector vector NOT NULL, vector_sha text NOT NULL
) ON COMMIT DROP
