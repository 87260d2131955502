SELECT source, status, last_error ->> 'code' AS code, last_error ->> 'what' AS what, last_error ->> 'why' AS why,
       last_error ->> 'remedy' AS remedy
  FROM docproc.upload_jobs WHERE status = ANY (%(failed)s) ORDER BY code, source LIMIT %(limit)s
