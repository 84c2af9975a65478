;; SPDX-License-Identifier: MIT
;; The contract in WebAssembly itself: answers with its event. The first directory that is opened for
;; a module, descriptor 3, is /tmp, in which the file lies that its argument names.
;;
;;     novactl register hello-wat --runtime wasm --code hello.wat
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)

  ;; At 0 what calls return, at 16 the arguments' addresses, at 32 a buffer (address, length) for
  ;; reading and writing, at 64 the arguments, at 4096 the text.
  (func $or_exit (param $error i32)
    (if (local.get $error) (then (call $proc_exit (i32.const 1)))))

  (func $length (param $text i32) (result i32)
    (local $at i32)
    (local.set $at (local.get $text))
    (loop $more
      (if (i32.load8_u (local.get $at))
        (then
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $more))))
    (i32.sub (local.get $at) (local.get $text)))

  (func $put (param $at i32) (param $len i32)
    (i32.store (i32.const 32) (local.get $at))
    (i32.store (i32.const 36) (local.get $len))
    (call $or_exit (call $fd_write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 0))))

  (data (i32.const 2048) "{\"runtime\":\"wat\",\"event\":")
  (data (i32.const 2080) "}\n")

  (func (export "_start")
    (local $path i32)
    (local $file i32)
    (call $or_exit (call $args_get (i32.const 16) (i32.const 64)))
    ;; behind "/tmp/"
    (local.set $path (i32.add (i32.load (i32.const 20)) (i32.const 5)))
    (call $or_exit
      (call $path_open (i32.const 3) (i32.const 0) (local.get $path)
        (call $length (local.get $path)) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0)
        (i32.const 0)))
    (local.set $file (i32.load (i32.const 0)))
    (call $put (i32.const 2048) (i32.const 25))
    (loop $more
      (i32.store (i32.const 32) (i32.const 4096))
      (i32.store (i32.const 36) (i32.const 4096))
      (call $or_exit
        (call $fd_read (local.get $file) (i32.const 32) (i32.const 1) (i32.const 0)))
      (if (i32.load (i32.const 0))
        (then
          (call $put (i32.const 4096) (i32.load (i32.const 0)))
          (br $more))))
    (call $put (i32.const 2080) (i32.const 2))))
