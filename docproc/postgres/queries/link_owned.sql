-- Vectors that the user owns for the same embedded string, model and version are taken over instead of bought.
-- One look into the index for each chunk without a vector; left to itself the planner joins the whole tables.
WITH needed AS MATERIALIZED (
  SELECT DISTINCT c.chunk_id, c.document_id, c.user_id, c.embed_sha, j.embed_model, j.embed_version
    FROM docproc.upload_jobs j
    JOIN docproc.document_chunk_buffer c ON c.document_id = j.document_id
     AND c.chunker_name || '@' || c.chunker_version = j.chunks_version
   WHERE j.job_id = ANY (%(job_ids)s)
     AND NOT EXISTS (SELECT FROM docproc.document_vector_buffer v
                      WHERE v.chunk_id = c.chunk_id AND v.embed_model = j.embed_model
                        AND v.embed_version = j.embed_version AND v.embed_sha = c.embed_sha)
)
INSERT INTO docproc.document_vector_buffer AS b (chunk_id, document_id, user_id, embed_model, embed_version, embed_sha,
                                                 vector, vector_sha)
SELECT n.chunk_id, n.document_id, n.user_id, n.embed_model, n.embed_version, n.embed_sha, owned.vector, owned.vector_sha
  FROM needed n
 CROSS JOIN LATERAL (SELECT v.vector, v.vector_sha
                       FROM docproc.document_vector_buffer v
                      WHERE v.user_id = n.user_id AND v.embed_sha = n.embed_sha
                        AND v.embed_model = n.embed_model AND v.embed_version = n.embed_version
                      LIMIT 1) owned
 ORDER BY n.chunk_id
ON CONFLICT (chunk_id, embed_model, embed_version) DO UPDATE
   SET vector = excluded.vector, vector_sha = excluded.vector_sha, embed_sha = excluded.embed_sha
 WHERE b.embed_sha <> excluded.embed_sha
