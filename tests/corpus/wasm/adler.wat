;; SPDX-License-Identifier: MIT
;; Adler-32 of the event's bytes, as a number: WebAssembly by hand.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)

  ;; At 0 what calls return, at 16 the arguments' addresses, at 32 a buffer (address, length), at 64
  ;; the arguments, up to 4096 the digits, from there the text.
  (func $or_exit (param $error i32)
    (if (local.get $error) (then (call $proc_exit (i32.const 1)))))

  (func $length (param $text i32) (result i32)
    (local $at i32)
    (local.set $at (local.get $text))
    (block $end
      (loop $more
        (br_if $end (i32.eqz (i32.load8_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $more)))
    (i32.sub (local.get $at) (local.get $text)))

  (func $buffer (param $at i32) (param $len i32) (result i32)
    (i32.store (i32.const 32) (local.get $at))
    (i32.store (i32.const 36) (local.get $len))
    (i32.const 32))

  (func $read (result i32)
    (local $path i32)
    (call $or_exit (call $args_get (i32.const 16) (i32.const 64)))
    (local.set $path (i32.add (i32.load (i32.const 20)) (i32.const 5))) ;; behind "/tmp/"
    (call $or_exit
      (call $path_open (i32.const 3) (i32.const 0) (local.get $path)
        (call $length (local.get $path)) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0)
        (i32.const 0)))
    (call $or_exit
      (call $fd_read (i32.load (i32.const 0))
        (call $buffer (i32.const 4096) (i32.const 65536)) (i32.const 1) (i32.const 8)))
    (i32.load (i32.const 8)))

  (func $put_number (param $number i32)
    (local $at i32)
    (local.set $at (i32.const 4096))
    (loop $more
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at)
        (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10))))
      (local.set $number (i32.div_u (local.get $number) (i32.const 10)))
      (br_if $more (local.get $number)))
    (call $or_exit
      (call $fd_write (i32.const 1)
        (call $buffer (local.get $at) (i32.sub (i32.const 4096) (local.get $at)))
        (i32.const 1) (i32.const 8))))

  (func (export "_start")
    (local $at i32) (local $end i32) (local $a i32) (local $b i32)
    (local.set $a (i32.const 1))
    (local.set $at (i32.const 4096))
    (local.set $end (i32.add (i32.const 4096) (call $read)))
    (block $done
      (loop $more
        (br_if $done (i32.eq (local.get $at) (local.get $end)))
        (local.set $a
          (i32.rem_u (i32.add (local.get $a) (i32.load8_u (local.get $at))) (i32.const 65521)))
        (local.set $b (i32.rem_u (i32.add (local.get $b) (local.get $a)) (i32.const 65521)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $more)))
    (call $put_number
      (i32.or (i32.shl (local.get $b) (i32.const 16)) (local.get $a)))))
