SELECT count(*) || ' sources have no job for their document, such as ' || min(s.uri) AS problem
  FROM docproc.sources s
 WHERE NOT EXISTS (SELECT FROM docproc.upload_jobs j WHERE j.document_id = s.document_id)
HAVING count(*) > 0
UNION ALL
SELECT count(*) || ' live sources have a job that is not complete, such as ' || min(s.uri)
  FROM docproc.sources s JOIN docproc.upload_jobs j ON j.job_id = s.live_job_id
 WHERE j.status <> 'complete'
HAVING count(*) > 0
UNION ALL
SELECT count(*) || ' documents have gaps between their chunks, such as ' || min(gap.document_id::text)
  FROM (SELECT c.document_id FROM docproc.document_chunk_buffer c
         GROUP BY c.document_id, c.chunker_name, c.chunker_version
        HAVING min(c.chunk_ord) <> 0 OR max(c.chunk_ord) <> count(*) - 1) gap
HAVING count(*) > 0
UNION ALL
SELECT count(*) || ' complete jobs have a chunk without a vector, such as ' || min(j.job_id::text)
  FROM docproc.upload_jobs j
 WHERE j.status = 'complete'
   AND EXISTS (SELECT FROM docproc.document_chunk_buffer c
                WHERE c.document_id = j.document_id AND c.chunker_name || '@' || c.chunker_version = j.chunks_version
                  AND NOT EXISTS (SELECT FROM docproc.document_vector_buffer v
                                   WHERE v.chunk_id = c.chunk_id AND v.embed_model = j.embed_model
                                     AND v.embed_version = j.embed_version))
HAVING count(*) > 0
