#!/bin/bash
# A real Slurm on this machine, of Debian's slurm-wlm and munge: one node of 2 CPUs, everything in one folder, as root.
#
#   bench/cluster/slurm.sh up FOLDER [PID] prints the environment that clients need: eval "$(bench/cluster/slurm.sh up /tmp/slurm)";
#                                          with PID it comes down by itself when that process has ended
#   bench/cluster/slurm.sh restart FOLDER  restarts slurmd, the node's daemon
#   bench/cluster/slurm.sh down FOLDER     ends the daemons and their jobs
#
# apt install slurm-wlm munge; their own services are left alone. MaxArraySize is 6, so that arrays come in chunks; a partition
# `spot` is preempted by the partition `main`.
set -eu

case "${1:-}" in
  up | restart | down) ;;
  *)
    sed -n '2,10p' "$0" | sed 's/^# \{0,1\}//'
    exit "$([ "${1:-}" = --help ] && echo 0 || echo 2)"
    ;;
esac
action=$1
folder=${2:?a folder}
conf=$folder/slurm.conf
# Ports of its own, so that two stand beside each other.
port=$((20000 + $(printf %s "$folder" | cksum | cut -d' ' -f1) % 10000 * 2))

end() { # the daemon whose process id a file has
  [ -f "$1" ] || return 0
  local pid
  pid=$(cat "$1")
  kill "$pid" 2>/dev/null || true
  # slurmctld has been seen to hang while it saves its state at the end.
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
  kill -KILL "$pid" 2>/dev/null || true
}

start_slurmd() {
  slurmd -f "$conf" -N node1
  patiently '[ -s "$folder/slurmd.pid" ]' slurmd
}

patiently() { # a condition, and whose log says why it does not come
  for _ in $(seq 600); do
    eval "$1" && return 0
    sleep 0.1
  done
  tail "$folder/$2.log" >&2
  exit 1
}

case $action in
  up)
    mkdir -p "$folder/state" "$folder/spool"
    if [ -n "${3:-}" ]; then
      # Told by a file that `down` has been here: a watcher that was killed could not clean up.
      ( while kill -0 "$3" 2>/dev/null && [ ! -e "$folder/down" ]; do sleep 1; done
        [ -e "$folder/down" ] || "$0" down "$folder" ) </dev/null >/dev/null 2>&1 &
    fi
    chmod 755 "$folder"
    [ -f "$folder/munge.key" ] || { dd if=/dev/urandom of="$folder/munge.key" bs=1024 count=1 status=none; chmod 400 "$folder/munge.key"; }
    mkdir -p "$folder/munge"
    chmod 711 "$folder/munge"
    munged --key-file="$folder/munge.key" --socket="$folder/munge/socket" --pid-file="$folder/munge/pid" \
      --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" --force 2>"$folder/munge/err"
    cat >"$conf" <<CONF
ClusterName=flexbert
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
CryptoType=crypto/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=5,bf_interval=5,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=30
MinJobAge=10
MaxArraySize=6
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
NodeName=node1 NodeAddr=127.0.0.1 NodeHostname=$(hostname -s) CPUs=2 RealMemory=4096 State=UNKNOWN
PartitionName=main Nodes=node1 PriorityTier=2 PreemptMode=OFF Default=YES State=UP
PartitionName=spot Nodes=node1 PriorityTier=1 PreemptMode=REQUEUE GraceTime=20 State=UP
CONF
    export SLURM_CONF=$conf
    slurmctld -f "$conf"
    start_slurmd
    patiently 'sinfo --noheader --format=%T 2>/dev/null | grep -q idle' slurmctld
    echo "export SLURM_CONF=$conf"
    ;;
  restart)
    end "$folder/slurmd.pid"
    rm -f "$folder/slurmd.pid"
    start_slurmd
    ;;
  down)
    export SLURM_CONF=$conf
    touch "$folder/down"
    scancel --me 2>/dev/null || true
    for _ in $(seq 100); do [ -z "$(squeue --noheader 2>/dev/null)" ] && break; sleep 0.3; done
    # What is left is of a slurmctld that can be asked no more. slurmd knows its jobs' processes, which outlive it.
    scontrol listpids 2>/dev/null | awk '$1 + 0 > 1 { print $1 }' | xargs -r kill 2>/dev/null || true
    end "$folder/slurmd.pid"
    end "$folder/slurmctld.pid"
    end "$folder/munge/pid"
    ;;
esac
