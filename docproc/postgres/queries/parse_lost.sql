-- With a new reference, so that a later look through the service's list does not find the job that is given up here. It may
-- have been charged for.
WITH lost AS (
  UPDATE docproc.parse_calls
     SET state = 'failed', external_id = NULL, client_ref = %(client_ref)s, updated_at = clock_timestamp()
   WHERE parse_call_id = %(parse_call_id)s AND state IN ('submitted', 'collected')
     AND external_id = %(external_id)s
  RETURNING call_id
)
UPDATE docproc.api_calls a SET outcome = 'uncertain', code = %(code)s
  FROM lost WHERE a.call_id = lost.call_id AND a.outcome IN ('open', 'accepted')
