SELECT count(*) AS expired FROM docproc.upload_jobs WHERE lease_until < clock_timestamp()
