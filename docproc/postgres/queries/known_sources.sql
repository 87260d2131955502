-- Not those whose stored bytes are gone: they are wanted once more. One look into each index for each file.
SELECT wanted.n
  FROM unnest(%(uris)s::text[], %(document_ids)s::uuid[]) WITH ORDINALITY AS wanted (uri, document_id, n)
 CROSS JOIN LATERAL (SELECT FROM docproc.sources s
                      WHERE s.user_id = %(user)s AND s.uri = wanted.uri AND s.document_id = wanted.document_id
                        AND s.withdrawn_at IS NULL
                      LIMIT 1) known
 CROSS JOIN LATERAL (SELECT FROM docproc.upload_jobs j
                      WHERE j.document_id = wanted.document_id AND j.chunks_version = %(chunks_version)s
                        AND j.embed_model = %(embed_model)s AND j.embed_version = %(embed_version)s
                        AND j.raw_lost_at IS NULL
                        AND (j.failed_from IS NULL OR j.last_error ->> 'code' <> ALL (%(lost_codes)s))
                      LIMIT 1) stored
