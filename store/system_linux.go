package store

import (
	"os"
	"syscall"
)

// syncData brings what was written into a file onto the disk: not when that was.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }

// timeKept tells whether a time service keeps the system's clock, as far as
// the kernel knows.
func timeKept() bool {
	const unsynchronised = 0x40 // STA_UNSYNC of adjtimex(2)
	var t syscall.Timex
	_, err := syscall.Adjtimex(&t)
	return err != nil || t.Status&unsynchronised == 0
}

// networkDisks are file systems whose locks can't be relied on, by their
// numbers in statfs(2).
var networkDisks = map[uint32]string{0x6969: "NFS", 0xff534d42: "CIFS", 0xfe534d42: "SMB", 0x517b: "SMB"}

// diskOf tells how much a directory's disk has free, and what it is called
// when it is another machine's.
func diskOf(dir string) (free uint64, network string, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, "", err
	}
	return st.Bavail * uint64(st.Bsize), networkDisks[uint32(st.Type)], nil
}
