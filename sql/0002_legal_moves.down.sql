-- loses: nothing
DROP TRIGGER upload_jobs_legal_moves ON docproc.upload_jobs;
DROP FUNCTION docproc.refuse_illegal_move();
DROP TABLE docproc.legal_moves;
