import time
from prefect_experiments.store import Store
def test_a(postgres_url):
    t=time.perf_counter(); s=Store(postgres_url); print("open",time.perf_counter()-t); 
    t=time.perf_counter(); s=Store(postgres_url); print("reopen",time.perf_counter()-t); 
    print(s.shown_url)
def test_b(postgres_url):
    t=time.perf_counter(); s=Store(postgres_url); print("open",time.perf_counter()-t); 
