! SPDX-License-Identifier: Apache-2.0
! The calls of Fortran programs: by the old interface and by the module mpi_f08, in place and not, on three ranks.
module checks
  implicit none
  integer, parameter :: n = 65536
  integer :: rank = 0
contains
  ! Signs of a rank.
  function signs(of_rank) result(values)
    integer, intent(in) :: of_rank
    real :: values(n)
    integer :: i
    do i = 1, n
      values(i) = merge(1.0, -1.0, mod(i * 7 + of_rank * 3, 5) < 2)
    end do
  end function

  subroutine require_sum(values, what)
    real, intent(in) :: values(n)
    character(*), intent(in) :: what
    if (any(values /= signs(0) + signs(1) + signs(2))) then
      print *, 'WRONG: ', what
      error stop 3
    end if
  end subroutine
end module

subroutine old_interface
  use checks
  use mpi
  implicit none
  real :: send(n), recv(n)
  double precision :: wide(n), wide_sum(n)
  integer :: ierror, i
  call MPI_Comm_rank(MPI_COMM_WORLD, rank, ierror)
  send = signs(rank)
  do i = 1, 2
    recv = 0
    call MPI_Allreduce(send, recv, n, MPI_REAL, MPI_SUM, MPI_COMM_WORLD, ierror)
    if (ierror /= MPI_SUCCESS) error stop 4
    call require_sum(recv, 'mpi')
  end do
  recv = send
  call MPI_Allreduce(MPI_IN_PLACE, recv, n, MPI_REAL4, MPI_SUM, MPI_COMM_WORLD, ierror)
  call require_sum(recv, 'mpi in place')
  wide = send
  call MPI_Allreduce(wide, wide_sum, n, MPI_DOUBLE_PRECISION, MPI_SUM, MPI_COMM_WORLD, ierror)
  call require_sum(real(wide_sum), 'mpi double precision')
end subroutine

subroutine new_interface
  use checks
  use mpi_f08
  implicit none
  real, asynchronous :: send(n), recv(n)
  send = signs(rank)
  call MPI_Allreduce(send, recv, n, MPI_REAL, MPI_SUM, MPI_COMM_WORLD)
  call require_sum(recv, 'mpi_f08')
  recv = send
  call MPI_Allreduce(MPI_IN_PLACE, recv, n, MPI_REAL, MPI_SUM, MPI_COMM_WORLD)
  call require_sum(recv, 'mpi_f08 in place')
end subroutine

program fortran
  use checks
  use mpi
  implicit none
  integer :: ierror
  call MPI_Init(ierror)
  call old_interface
  call new_interface
  if (rank == 0) print *, 'all sums are right'
  call MPI_Finalize(ierror)
end program
