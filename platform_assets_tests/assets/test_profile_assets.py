import time
def test_try(settled):
    t=time.time()
    o = settled.run()
    print(time.time()-t)
    print(o.failed_steps(), {a: o.rows_written(a) for a in ("developer_profiles","matches","skill_embeddings","gateway_transactions")}, o.metadata("skill_embeddings"))
    t=time.time()
    o = settled.run("developer_profiles")
    print(time.time()-t)
    assert 0
