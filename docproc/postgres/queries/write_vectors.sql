-- A vector that was paid for is kept whoever holds the job now, as long as its chunk still has the text it was made of.
-- One that is there already is as good. Progress counts what is new, in the jobs that wait for it.
WITH written AS (
  INSERT INTO docproc.document_vector_buffer AS b (chunk_id, document_id, user_id, embed_model, embed_version, embed_sha,
                                                   vector, vector_sha)
  SELECT c.chunk_id, c.document_id, c.user_id, %(model)s, %(version)s, i.embed_sha, i.vector, i.vector_sha
    FROM incoming_vectors i
    JOIN docproc.document_chunk_buffer c ON c.chunk_id = i.chunk_id AND c.embed_sha = i.embed_sha
   ORDER BY c.chunk_id
  ON CONFLICT (chunk_id, embed_model, embed_version) DO UPDATE
     SET vector = excluded.vector, vector_sha = excluded.vector_sha, embed_sha = excluded.embed_sha
   WHERE b.embed_sha <> excluded.embed_sha
  RETURNING document_id
), waiting AS MATERIALIZED (
  SELECT j.job_id, w.new
    FROM (SELECT document_id, count(*) AS new FROM written GROUP BY document_id) w
    JOIN docproc.upload_jobs j ON j.document_id = w.document_id
   WHERE j.job_id = ANY (%(job_ids)s) AND NOT j.is_final
   ORDER BY j.job_id
     FOR NO KEY UPDATE OF j
)
UPDATE docproc.upload_jobs j
   SET progress = j.progress
                  || jsonb_build_object('embeds_done', coalesce((j.progress ->> 'embeds_done')::bigint, 0) + w.new),
       updated_at = clock_timestamp()
  FROM waiting w
 WHERE j.job_id = w.job_id
