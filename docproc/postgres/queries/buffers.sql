-- From the catalogue, not by counting rows: status must stay fast with millions of chunks.
SELECT greatest((SELECT reltuples FROM pg_class WHERE oid = 'docproc.document_chunk_buffer'::regclass), 0)::bigint
         AS chunks_estimated,
       pg_total_relation_size('docproc.document_chunk_buffer') AS chunk_bytes,
       greatest((SELECT reltuples FROM pg_class WHERE oid = 'docproc.document_vector_buffer'::regclass), 0)::bigint
         AS vectors_estimated,
       pg_total_relation_size('docproc.document_vector_buffer') AS vector_bytes,
       (SELECT count(DISTINCT claimed_by) FROM docproc.upload_jobs WHERE claimed_by IS NOT NULL) AS workers
