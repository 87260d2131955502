-- With a new reference, so that a later look through the service's list does not find the job that is given up here.
UPDATE docproc.parse_calls
   SET state = 'failed', external_id = NULL, client_ref = %(client_ref)s, updated_at = clock_timestamp()
 WHERE parse_call_id = %(parse_call_id)s AND state IN ('submitted', 'collected')
   AND external_id = %(external_id)s
