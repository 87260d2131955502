-- One look into the index for each text; as a semi-join the planner would read the whole table.
SELECT wanted.embed_sha
  FROM unnest(%(embed_shas)s::text[]) AS wanted (embed_sha)
 CROSS JOIN LATERAL (SELECT FROM docproc.document_vector_buffer v
                      WHERE v.user_id = %(user)s AND v.embed_sha = wanted.embed_sha
                        AND v.embed_model = %(model)s AND v.embed_version = %(version)s
                      LIMIT 1) owned
