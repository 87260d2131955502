UPDATE docproc.parse_calls
   SET state = 'failed', external_id = NULL, updated_at = clock_timestamp()
 WHERE parse_call_id = %(parse_call_id)s AND state = 'submitted'
