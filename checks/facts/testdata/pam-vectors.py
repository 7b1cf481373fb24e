#!/usr/bin/python3
"""pam-vectors.py N > pam-debian12.json: what the host's own pam_limits makes of N lists of lines.

Run as root on Debian 12. Lines are drawn at random from what limits.conf(5) allows and what people write; a
child opens a session by libpam with them and says which NOFILE it has then. Nothing of the host is changed."""
import ctypes, json, os, random, resource, sys, tempfile

pam = ctypes.CDLL("libpam.so.0")
CONV = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


class Conv(ctypes.Structure):
    _fields_ = [("conv", CONV), ("data", ctypes.c_void_p)]


conv = Conv(CONV(lambda *_: 0), None)
work = tempfile.mkdtemp()
with open(work + "/limits", "w") as f:
    f.write(f"session required pam_limits.so conf={work}/conf\n")


def session(user):
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        handle = ctypes.c_void_p()
        pam.pam_start_confdir(b"limits", user.encode(), ctypes.byref(conv), work.encode(), ctypes.byref(handle))
        pam.pam_open_session(handle, 0)
        os.write(w, json.dumps(resource.getrlimit(resource.RLIMIT_NOFILE)).encode())
        os._exit(0)
    os.close(w)
    with os.fdopen(r) as f:
        got = json.load(f)
    os.waitpid(pid, 0)
    return got


domains = "* daemon root @daemon @root @adm 1:1 0: 1: 0:10 :1 :0 @:1 @:0 @0:5 @1: % %daemon bob @bob :: a:b : 5:1".split()
types = "soft hard - SOFT Hard up".split()
values = ["100", "2000", "9000", "65,536", "30000", "70000", "9999999", "unlimited", "-1", "-", "infinity", "-5", "+77", "12abc", "x", "0",
          "1024", "512 more", "unlimited more", "18446744073709551615", "0x10", "99999999999999999999"]
items = ["nofile"] * 6 + ["NOFILE", "nproc", "maxlogins", "nofiles"]


def line():
    domain, kind = random.choice(domains), random.random()
    if kind < 0.08:
        return f"{domain} {random.choice(['-', '-x'])}"
    if kind < 0.12:
        return f"{domain} {random.choice(types)} nofile"
    return f"{domain} {random.choice(types)} {random.choice(items)} {random.choice(values)}{random.choice(['', '', ' # c'])}"


random.seed(1)
runs = []
for _ in range(int(sys.argv[1])):
    conf = "\n".join(line() for _ in range(random.randint(1, 4))) + "\n"
    with open(work + "/conf", "w") as f:
        f.write(conf)
    user = random.choice(["daemon", "root"])
    runs.append({"user": user, "conf": conf, "got": session(user)})
for name in ("conf", "limits"):
    os.remove(f"{work}/{name}")
os.rmdir(work)
with open("/proc/1/limits") as f:
    first = next(l.split()[3:5] for l in f if l.startswith("Max open files"))
with open("/proc/sys/fs/nr_open") as f:
    most = int(f.read())
with open("/proc/1/status") as f:
    caps = int(next(l.split()[1] for l in f if l.startswith("CapBnd")), 16)
head = {"start": resource.getrlimit(resource.RLIMIT_NOFILE), "pid1": [int(n) for n in first], "nrOpen": most, "mayRaise": bool(caps >> 24 & 1)}
print(json.dumps(head)[:-1] + ', "runs": [')
print(",\n".join(json.dumps(r) for r in runs))
print("]}")
