WITH made AS (
  INSERT INTO docproc.parse_calls (document_id, parser, client_ref)
  VALUES (%(document_id)s, %(parser)s, %(client_ref)s)
  ON CONFLICT (document_id, parser) DO NOTHING
  RETURNING *
), it AS (
  SELECT * FROM made
  UNION ALL
  SELECT * FROM docproc.parse_calls WHERE document_id = %(document_id)s AND parser = %(parser)s
  LIMIT 1
)
SELECT parse_call_id, client_ref, state, external_id, submits,
       extract(epoch FROM submit_slot - clock_timestamp())::float8 AS seconds_until_slot,
       extract(epoch FROM clock_timestamp() - submitting_at)::float8 AS seconds_since_submitting,
       extract(epoch FROM clock_timestamp() - submitted_at)::float8 AS seconds_since_submitted,
       extract(epoch FROM clock_timestamp() - created_at)::float8 AS seconds_since_created
  FROM it
