-- Compares and sets: of two workers that read the same intent, one submits.
UPDATE docproc.parse_calls
   SET state = 'submitting', external_id = NULL, submits = submits + 1, submitting_at = clock_timestamp(),
       updated_at = clock_timestamp()
 WHERE parse_call_id = %(parse_call_id)s AND submits = %(submits)s AND state = %(state)s
