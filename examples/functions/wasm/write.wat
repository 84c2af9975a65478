;; SPDX-License-Identifier: MIT
;; One call of WASI, by the name that its interface had before it was called preview 1.
;;
;;     novactl run -l wasm -f write.wat
(module
  (import "wasi_unstable" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "hello world\n")

  (func (export "_start")
    ;; the buffer to write: its address, its length
    (i32.store (i32.const 0) (i32.const 8))
    (i32.store (i32.const 4) (i32.const 12))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))))
