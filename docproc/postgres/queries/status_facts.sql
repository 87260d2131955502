-- What is known without reading a table of any size: from the catalogue, and from tables of a few rows.
WITH used AS (
  SELECT s.embed_model, s.embed_version, i.whole, i.kind
    FROM docproc.serving s
    LEFT JOIN LATERAL (
      SELECT v.whole, k.kind
        FROM unnest(ARRAY['hnsw', 'halfvec']) AS k (kind), docproc.vector_index(s.embed_model, s.embed_version, k.kind) v
       WHERE v.whole IS NOT NULL ORDER BY v.whole DESC LIMIT 1) i ON true
   WHERE s.user_id = %(user)s
)
SELECT now() AS at,
       (SELECT max(version) FROM docproc.schema_migrations) AS schema_version,
       pg_relation_size('docproc.upload_jobs') AS job_bytes,
       (SELECT nullif(reltuples, -1) FROM pg_class WHERE oid = 'docproc.document_chunk_buffer'::regclass)::bigint
         AS chunks_estimated,
       pg_total_relation_size('docproc.document_chunk_buffer') AS chunk_bytes,
       (SELECT nullif(reltuples, -1) FROM pg_class WHERE oid = 'docproc.document_vector_buffer'::regclass)::bigint
         AS vectors_estimated,
       pg_total_relation_size('docproc.document_vector_buffer') AS vector_bytes,
       used.embed_model, used.embed_version, used.kind AS index_kind, used.whole AS index_whole,
       i.parser_kind, i.embedder_kind
  FROM (SELECT) one LEFT JOIN used ON true LEFT JOIN docproc.installation i ON true
