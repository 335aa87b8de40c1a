# Runs in the guest of witnesses.py, as root of a Debian with QEMU and vmdev; leaves its logs on /dev/vdb.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
tracing=/sys/kernel/tracing card=0000:00:08.0
pc="-m 128 -nodefaults -display none -no-reboot -vga std -serial null -boot reboot-timeout=1
    -chardev stdio,id=debug -device isa-debugcon,iobase=0x402,chardev=debug"
mkdir /tmp/out && cd /tmp/out

save() {
    tar -C /tmp -czf /dev/vdb out && sync
}

echo "a driver, by mmiotrace"
echo mmiotrace >$tracing/current_tracer
cat $tracing/trace_pipe >card.log &
sleep 1
/busybox insmod /modules/e1000e.ko
echo "driver loaded" >$tracing/trace_marker
sleep 3
/busybox ip link set eth0 up
sleep 6
kill %1 && wait
echo nop >$tracing/current_tracer
/busybox ip link set eth0 down
save

echo "a virtual machine of KVM's, by ftrace"
for event in kvm_pio kvm_mmio kvm_exit; do echo 1 >$tracing/events/kvm/$event/enable; done
cat $tracing/trace_pipe >kvm.log &
timeout 200 qemu-system-x86_64 -M pc -accel kvm $pc -rtc base=2026-01-01T00:00:00 </dev/null >kvm.console
sleep 1
for event in kvm_pio kvm_mmio kvm_exit; do echo 0 >$tracing/events/kvm/$event/enable; done
kill %1 && wait
save

echo "another, by QEMU's own log"
timeout 200 qemu-system-x86_64 -M pc,kernel-irqchip=split -accel kvm $pc -rtc base=2026-01-01T00:00:00 \
    -trace 'memory_region_ops_*' -D qemu.log -msg timestamp=on </dev/null >qemu.console
save

echo "the card in another guest, by vmdev"
echo $card >/sys/bus/pci/drivers/e1000e/unbind
echo vfio-pci >/sys/bus/pci/devices/$card/driver_override
echo $card >/sys/bus/pci/drivers_probe
cd /vmdev
# shellcheck disable=SC2086
timeout 240 .venv/bin/vmdev record -o /tmp/out/vfio.db --verify --exits 300000 -- qemu-system-x86_64 -M pc $pc \
    -device vfio-pci,host=$card,x-no-mmap=on </dev/null >/tmp/out/vfio.console 2>/tmp/out/vfio.err
save
