-- Which of these objects a job names, or may be about to name: its bytes, the parse under its own id, and the parse of
-- another document that says the same. Each through an index.
SELECT o.n
  FROM unnest(%(uris)s::text[], %(document_ids)s::uuid[]) WITH ORDINALITY AS o (uri, document_id, n)
 WHERE EXISTS (SELECT FROM docproc.upload_jobs j
                WHERE j.document_id = o.document_id
                  AND o.uri IN (j.raw_path, j.parsed_path,
                                'storage://parsed/' || j.user_id || '/' || j.document_id::text || '.md'))
    OR EXISTS (SELECT FROM docproc.upload_jobs j
                WHERE j.parsed_path = o.uri
                  AND j.parsed_path <> 'storage://parsed/' || j.user_id || '/' || j.document_id::text || '.md')
