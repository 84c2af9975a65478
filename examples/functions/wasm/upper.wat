;; SPDX-License-Identifier: MIT
;; What comes on stdin goes to stdout in capitals; and two exports that are called by their names.
;;
;;     wat2wasm upper.wat && novactl push upper upper.wasm && novactl plug /upper upper --method POST
;;     curl -H "x-api-key: $KEY" localhost:8080/upper -d hello
;;     curl -H "x-api-key: $KEY" localhost:8080/my-own-cluster/api/function/call \
;;         -d '{"name":"upper","start_function":"add","arguments":[3,4]}'
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)

  ;; At 0 what calls return, at 8 a buffer (address, length), at 1024 the text, 4 KiB at a time.
  (func $or_exit (param $error i32)
    (if (local.get $error) (then (call $proc_exit (i32.const 1)))))

  (func $raise (param $at i32) (param $end i32)
    (local $letter i32)
    (loop $more
      (if (i32.lt_u (local.get $at) (local.get $end))
        (then
          (local.set $letter (i32.load8_u (local.get $at)))
          (if (i32.lt_u (i32.sub (local.get $letter) (i32.const 97)) (i32.const 26))
            (then (i32.store8 (local.get $at) (i32.sub (local.get $letter) (i32.const 32)))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $more)))))

  ;; A pipe may take less than it is given.
  (func $put (param $at i32) (param $end i32)
    (loop $more
      (if (i32.lt_u (local.get $at) (local.get $end))
        (then
          (i32.store (i32.const 8) (local.get $at))
          (i32.store (i32.const 12) (i32.sub (local.get $end) (local.get $at)))
          (call $or_exit
            (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))
          (local.set $at (i32.add (local.get $at) (i32.load (i32.const 0))))
          (br $more)))))

  (func (export "_start")
    (local $end i32)
    (loop $more
      (i32.store (i32.const 8) (i32.const 1024))
      (i32.store (i32.const 12) (i32.const 4096))
      (call $or_exit (call $fd_read (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 0)))
      (local.set $end (i32.add (i32.const 1024) (i32.load (i32.const 0))))
      (call $raise (i32.const 1024) (local.get $end))
      (call $put (i32.const 1024) (local.get $end))
      (br_if $more (i32.load (i32.const 0)))))

  (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1)))

  (func (export "trap") (unreachable)))
