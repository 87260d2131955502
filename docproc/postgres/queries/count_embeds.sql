-- How many chunks of each job have their vector, counted anew; progress is corrected where it says something else.
WITH counted AS MATERIALIZED (
  SELECT j.job_id, count(v.chunk_id) AS done, count(*) AS total
    FROM docproc.upload_jobs j
    JOIN docproc.document_chunk_buffer c ON c.document_id = j.document_id
     AND c.chunker_name || '@' || c.chunker_version = j.chunks_version
    LEFT JOIN docproc.document_vector_buffer v ON v.chunk_id = c.chunk_id AND v.embed_model = j.embed_model
     AND v.embed_version = j.embed_version AND v.embed_sha = c.embed_sha
   WHERE j.job_id = ANY (%(job_ids)s)
   GROUP BY j.job_id
), changed AS MATERIALIZED (
  SELECT j.job_id, n.done, n.total
    FROM docproc.upload_jobs j JOIN counted n ON n.job_id = j.job_id
   WHERE NOT j.is_final AND j.progress -> 'embeds_done' IS DISTINCT FROM to_jsonb(n.done)
   ORDER BY j.job_id
     FOR NO KEY UPDATE OF j
), corrected AS (
  UPDATE docproc.upload_jobs j
     SET progress = j.progress || jsonb_build_object('embeds_done', n.done, 'embeds_total', n.total),
         updated_at = clock_timestamp()
    FROM changed n
   WHERE j.job_id = n.job_id
)
SELECT job_id, total - done AS missing FROM counted
