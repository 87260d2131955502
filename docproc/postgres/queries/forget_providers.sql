DELETE FROM docproc.installation WHERE NOT EXISTS (SELECT FROM docproc.upload_jobs)
